//! Builds the GraphiQL page with npm and lists its files for the binary to embed; without npm it lists none.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    for source in [
        "index.html",
        "package.json",
        "package-lock.json",
        "vite.config.js",
        "src",
    ] {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TRIBUTARY_SKIP_WEB");

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let web = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?)
        .join("web");
    let dist = out.join("graphiql");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    if let Err(reason) = build_page(&web, &dist) {
        println!(
            "cargo::warning=the GraphiQL page is not built ({reason}); the binary will serve a page that loads it from a CDN"
        );
        if dist.exists() {
            fs::remove_dir_all(&dist)?;
        }
    }
    fs::write(out.join("graphiql_assets.rs"), asset_list(&dist)?)
}

/// Runs npm; the error is a text for the build's warning.
fn build_page(web: &Path, dist: &Path) -> Result<(), String> {
    if env::var_os("TRIBUTARY_SKIP_WEB").is_some_and(|value| value == "1") {
        return Err("TRIBUTARY_SKIP_WEB is 1".into());
    }
    install_packages(web)?;
    run(
        web,
        &[
            OsStr::new("run"),
            OsStr::new("build"),
            OsStr::new("--"),
            OsStr::new("--logLevel=warn"),
            OsStr::new("--emptyOutDir"),
            OsStr::new("--outDir"),
            dist.as_os_str(),
        ],
    )
}

/// Runs `npm ci` unless the lock file is the one that was installed last.
fn install_packages(web: &Path) -> Result<(), String> {
    let lock = fs::read(web.join("package-lock.json")).map_err(|error| error.to_string())?;
    let stamp = web.join("node_modules/.installed-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(web, &[OsStr::new("ci"), OsStr::new("--ignore-scripts")])?;
    fs::write(stamp, lock).map_err(|error| error.to_string())
}

fn run(web: &Path, arguments: &[&OsStr]) -> Result<(), String> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .output()
        .map_err(|error| format!("npm does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = text.lines().rev().take(3).collect();
    Err(format!(
        "npm ended with {}: {}",
        output.status,
        tail.join(" | ")
    ))
}

/// Writes a table of path and gzipped bytes, as Rust.
fn asset_list(dist: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    if dist.exists() {
        collect(dist, &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(dist).map_err(io::Error::other)?;
        let name = name.to_string_lossy();
        let name = name.trim_end_matches(".gz");
        writeln!(text, "    ({name:?}, include_bytes!({file:?})),").map_err(io::Error::other)?;
    }
    text.push(']');
    Ok(text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension() == Some(OsStr::new("gz")) {
            files.push(path);
        }
    }
    Ok(())
}
