//! What operators write: the configuration file, and the reader of YAML with good messages that connector files share.

pub mod diagnostic;
pub mod yaml;
