//! A real `redis-server` for one test: on a unix socket of its own, so that no port can be taken, and without files.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A running server; it ends with the drop.
pub struct RedisServer {
    folder: PathBuf,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let folder = std::env::temp_dir().join(format!("tributary-{name}"));
        fs::create_dir(&folder).unwrap();
        let mut server = Self {
            folder,
            process: None,
        };
        server.restart();
        server
    }

    /// The address for `redis.url`.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// A blocking connection, to look at what the server holds.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection().unwrap()
    }

    /// How often the server ran the command (lower case).
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut self.connection())
            .unwrap();
        let start = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    }

    /// Kills the server as a crash would: nothing is said to its clients.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Freezes the server: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Starts the server again, empty, on the same address.
    pub fn restart(&mut self) {
        self.kill();
        let _ = fs::remove_file(self.socket());
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server must be on PATH");
        let log = BufReader::new(process.stdout.take().unwrap());
        self.process = Some(process);
        let is_ready = |line: &String| line.contains("eady to accept connections");
        let ready = log.lines().map_while(Result::ok).find(is_ready);
        assert!(ready.is_some(), "redis-server ended before it was ready");
        let pong: String = redis::cmd("PING").query(&mut self.connection()).unwrap();
        assert_eq!(pong, "PONG");
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
