//! Processes that are measured: each on a core of its own, ended when they are dropped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// How long a process may take until it says what is waited for.
const START_MAX: Duration = Duration::from_secs(20);
/// How often its output is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What a process has used since its start.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// The most memory since `forget_peak`.
    pub peak_bytes: u64,
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Runs a program on one core; what it prints goes to a file.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
        (core, log): (usize, &Path),
    ) -> Outcome<Self> {
        let out = File::create(log)?;
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", program.display()))?;
        let log = log.to_owned();
        Ok(Self { child, log })
    }

    /// Waits for what follows `mark` in its output, up to a blank or a line's end.
    pub fn wait_for(&mut self, mark: &str) -> Outcome<String> {
        let begun = Instant::now();
        loop {
            let printed = std::fs::read_to_string(&self.log)?;
            let found = printed.split_once(mark).map(|(_, rest)| rest);
            if let Some((word, _)) = found.and_then(|rest| rest.split_once([' ', '\n', '"'])) {
                return Ok(word.to_owned());
            }
            if begun.elapsed() > START_MAX || self.child.try_wait()?.is_some() {
                return Err(format!("a process is not ready; it printed:\n{printed}").into());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What it printed so far.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Forgets the peak of memory, so that the next one is that of what follows.
    pub fn forget_peak(&self) -> Outcome<()> {
        Ok(std::fs::write(self.file("clear_refs"), "5")?)
    }

    /// What it has used.
    pub fn usage(&self) -> Outcome<Usage> {
        let status = std::fs::read_to_string(self.file("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: u64 = kilobytes.ok_or("no peak of memory")?.parse()?;
        Ok(Usage {
            cpu: cpu(&self.file("stat"))?,
            peak_bytes: kilobytes * 1024,
        })
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time in a `stat` file of proc(5): fields 14 and 15, in ticks of 10 ms.
pub fn cpu(file: &str) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(file)?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no `stat` of a process")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// A folder for the files of one run, removed when it is dropped.
#[derive(Debug)]
pub struct Folder(std::path::PathBuf);

impl Folder {
    /// Makes the folder.
    pub fn new() -> Outcome<Self> {
        let name = format!("tributary-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where a file of it is.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
