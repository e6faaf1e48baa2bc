//! `tributary healthcheck`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use crate::cli::CommandError;

/// Options of `healthcheck`.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// Where the gateway listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Ask whether it is ready, not only whether it lives.
    #[arg(long)]
    ready: bool,
}

const TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 4096;

impl Healthcheck {
    /// Fails unless the gateway answers 200.
    pub fn run(self) -> Result<(), CommandError> {
        let failed = |error| CommandError::because("the gateway does not answer", error);
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT).map_err(failed)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
        let path = if self.ready {
            "/health/ready"
        } else {
            "/health/live"
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_string(&mut answer)
            .map_err(failed)?;
        let status = answer.split_ascii_whitespace().nth(1).unwrap_or("nothing");
        if status == "200" {
            Ok(())
        } else {
            Err(CommandError::plain(format!(
                "the gateway answered {status}"
            )))
        }
    }
}
