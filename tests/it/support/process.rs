//! The gateway as a process of its own, which a hostile request could kill, slow down or fill up.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running `tributary demo`.
pub struct Process {
    child: Child,
    pub url: String,
    pub token: String,
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub memory_bytes: u64,
    pub memory_peak_bytes: u64,
}

impl Process {
    pub fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        for line in lines {
            let line = line.unwrap();
            printed.push_str(&line);
            if line.starts_with("Stop it") {
                break;
            }
        }
        let after = printed.split("http://").nth(1).unwrap();
        let address = after.split('/').next().unwrap();
        let token = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .arg("token")
            .output()
            .unwrap();
        Self {
            child,
            url: format!("http://{address}"),
            token: String::from_utf8(token.stdout).unwrap().trim().to_owned(),
        }
    }

    /// Whether it runs, being the process that was started.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Forgets the peak of memory, so that the next one is that of what follows.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    pub fn usage(&self) -> Usage {
        let stat = self.read("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        // Fields 14 and 15 of proc_pid_stat(5), in ticks, of which Linux counts 100 a second.
        let ticks: f64 = [fields[11], fields[12]]
            .iter()
            .map(|text| text.parse::<f64>().unwrap())
            .sum();
        let status = self.read("status");
        let bytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            kilobytes * 1024
        };
        Usage {
            cpu_seconds: ticks / 100.0,
            memory_bytes: bytes("VmRSS:"),
            memory_peak_bytes: bytes("VmHWM:"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
