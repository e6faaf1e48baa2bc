//! What operators write: the configuration file, and the reader of YAML with good messages that connector files share.

pub mod diagnostic;
pub mod rate;
pub mod size;
pub mod span;
pub mod yaml;
