//! Why a reply could not be decoded.

/// A reply that is not what its protocol promises; the message holds positions and fixed words, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The reply is longer than allowed.
    #[error("the reply is longer than {limit} bytes")]
    TooLong {
        /// The bound in bytes.
        limit: usize,
    },
    /// The reply nests deeper than allowed.
    #[error("the reply nests deeper than {limit} levels")]
    TooDeep {
        /// The bound in levels.
        limit: usize,
    },
    /// The reply holds, or expands to, more values than allowed.
    #[error("the reply holds more than {limit} values")]
    TooManyNodes {
        /// The bound in values.
        limit: usize,
    },
    /// One element has more attributes than allowed.
    #[error("an element at byte {at} has more than {limit} attributes")]
    TooManyAttributes {
        /// The bound in attributes.
        limit: usize,
        /// Where, in bytes of the decoded text.
        at: usize,
    },
    /// One text is longer than allowed.
    #[error("one text of the reply is longer than {limit} bytes")]
    TextTooLong {
        /// The bound in bytes.
        limit: usize,
    },
    /// An object of the reply has the same key twice.
    #[error("an object of the reply has the same key twice")]
    RepeatedKey,
    /// The reply is not JSON.
    #[error("the reply is not valid JSON: {reason} at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 0 for a line's first byte as the JSON reader counts.
        column: usize,
        /// What the JSON reader met.
        reason: jiter::JsonErrorType,
    },
    /// The reply is not XML that this product reads.
    #[error("the reply is not valid XML: {reason} at byte {at}")]
    Xml {
        /// Where, in bytes of the decoded text.
        at: usize,
        /// What was wrong.
        reason: XmlReason,
    },
    /// The reply's character encoding is unknown or broken.
    #[error("the reply's character encoding is not supported or not kept to")]
    Encoding,
    /// The reply is something else than a SOAP envelope, such as a proxy's HTML page.
    #[error("the reply is not a SOAP envelope")]
    NotSoap,
    /// The reply is JSON but no GraphQL response.
    #[error("the reply is not a GraphQL response")]
    NotGraphql,
    /// The reply says that it is multipart and is not, or hides its root part.
    #[error("the reply is not a readable multipart message")]
    Multipart,
}

/// What is wrong with XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlReason {
    /// A DOCTYPE, which could define entities or point at other documents.
    #[error("a DOCTYPE is not allowed")]
    Doctype,
    /// A reference to an entity other than the five XML defines.
    #[error("an entity other than the five predefined ones is not allowed")]
    Entity,
    /// A character that XML 1.0 cannot carry.
    #[error("a character is not allowed in XML")]
    Character,
    /// Tags that do not match, or markup that does not end.
    #[error("the markup is not well-formed")]
    Malformed,
    /// An attribute that is repeated, unquoted or without a value.
    #[error("an attribute is not well-formed")]
    Attribute,
    /// A namespace declaration that XML forbids, or too many of them.
    #[error("a namespace declaration is not allowed")]
    Namespace,
    /// Nothing, or something other than white space outside the root element.
    #[error("the document must have one root element")]
    Root,
}
