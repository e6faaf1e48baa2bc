//! What a value must offer to be cached.

/// A value the cache can weigh, and carry to Redis and back.
pub trait Stored: Clone + Send + Sync + 'static {
    /// The memory it takes, in bytes, roughly.
    fn weight(&self) -> usize;

    /// Its bytes.
    fn encode(&self) -> Result<Vec<u8>, CodecError>;

    /// Reads what `encode` wrote.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;
}

/// A value could not be turned into bytes or read from them.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Another version of the program wrote it.
    #[error("the cached form is of another version")]
    Version,
    /// The bytes are cut or altered.
    #[error("the cached form is damaged")]
    Damaged,
    /// It is larger than what the cache carries.
    #[error("the value is too large to be cached")]
    TooLarge,
    /// The value's own codec refused.
    #[error("the value's codec failed")]
    Value(#[source] Box<dyn std::error::Error + Send + Sync>),
}
