//! The list of failure codes that callers see, and what each of them means for them.

use std::fmt;

/// Who can mend a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The caller: the request or its proof must change.
    Caller,
    /// The vendor, or whoever runs that system.
    Vendor,
    /// The operator of this gateway.
    Operator,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = ($text:literal, $status:literal, $retry:literal, $owner:ident),)+) => {
        /// A stable failure code, found at `extensions.code` of a GraphQL error and at `error.code` of any other refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as callers see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The HTTP status of a refusal that consists of this code alone.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// Whether the same request may succeed later without a change.
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retry,)+ }
            }

            /// Who can mend the failure.
            pub const fn owner(self) -> Owner {
                match self { $(Self::$name => Owner::$owner,)+ }
            }

            /// What the code means, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

// One list, so that a code cannot exist without a status, a retry answer, an owner and a meaning.
codes! {
    /// The HTTP request is malformed: not JSON, no `query`, a wrong parameter type.
    BadRequest = ("BAD_REQUEST", 400, false, Caller),
    /// No route of the gateway has this path.
    NotFound = ("NOT_FOUND", 404, false, Caller),
    /// The HTTP method is not allowed here, for example a mutation by GET.
    MethodNotAllowed = ("METHOD_NOT_ALLOWED", 405, false, Caller),
    /// None of the media types in `Accept` can be produced.
    NotAcceptable = ("NOT_ACCEPTABLE", 406, false, Caller),
    /// The request's body did not arrive in time.
    RequestTimeout = ("REQUEST_TIMEOUT", 408, true, Caller),
    /// The request body's media type is not accepted.
    UnsupportedMediaType = ("UNSUPPORTED_MEDIA_TYPE", 415, false, Caller),
    /// The request is larger than the configured limit.
    PayloadTooLarge = ("PAYLOAD_TOO_LARGE", 413, false, Caller),
    /// No token was sent.
    Unauthenticated = ("UNAUTHENTICATED", 401, false, Caller),
    /// The token does not hold: a claim that must be there is absent or has a wrong form.
    InvalidToken = ("INVALID_TOKEN", 401, false, Caller),
    /// The bearer is not a signed JSON Web Token of this gateway's kind: its parts, its JSON or its size are wrong.
    TokenMalformed = ("TOKEN_MALFORMED", 401, false, Caller),
    /// The token's `typ` is not one that its issuer may use here.
    TokenTypeRefused = ("TOKEN_TYPE_REFUSED", 401, false, Caller),
    /// The token's header names critical parameters, and the gateway understands none.
    TokenCritical = ("TOKEN_CRITICAL", 401, false, Caller),
    /// The token's signature algorithm is not one that its issuer may use here; `none` never is.
    TokenAlgorithmRefused = ("TOKEN_ALGORITHM_REFUSED", 401, false, Caller),
    /// The token is signed with a key that its issuer does not offer.
    TokenKeyUnknown = ("TOKEN_KEY_UNKNOWN", 401, false, Caller),
    /// The token's signature does not match.
    TokenForged = ("TOKEN_FORGED", 401, false, Caller),
    /// The token's issuer is not accepted here, or the token names none.
    TokenIssuerRefused = ("TOKEN_ISSUER_REFUSED", 401, false, Caller),
    /// The token is meant for another audience, or names none.
    TokenAudienceRefused = ("TOKEN_AUDIENCE_REFUSED", 401, false, Caller),
    /// The token has expired, or never ends.
    TokenExpired = ("TOKEN_EXPIRED", 401, false, Caller),
    /// The token is not valid yet.
    TokenNotYetValid = ("TOKEN_NOT_YET_VALID", 401, true, Caller),
    /// The API key is not one of this gateway's.
    ApiKeyInvalid = ("API_KEY_INVALID", 401, false, Caller),
    /// The API key has expired or was revoked.
    ApiKeyEnded = ("API_KEY_ENDED", 401, false, Caller),
    /// The client certificate stands for no caller.
    CertificateUnknown = ("CERTIFICATE_UNKNOWN", 401, false, Caller),
    /// The token is valid and lacks a scope that the field needs.
    Forbidden = ("FORBIDDEN", 403, false, Caller),
    /// The document is not valid GraphQL syntax.
    GraphqlParseFailed = ("GRAPHQL_PARSE_FAILED", 400, false, Caller),
    /// The document does not fit the schema.
    GraphqlValidationFailed = ("GRAPHQL_VALIDATION_FAILED", 400, false, Caller),
    /// The document is deeper, wider or costlier than the configured limits.
    LimitExceeded = ("LIMIT_EXCEEDED", 400, false, Caller),
    /// An argument has the right type and an impossible value.
    InvalidArgument = ("INVALID_ARGUMENT", 400, false, Caller),
    /// The cursor is damaged or belongs to a list with other arguments.
    InvalidCursor = ("INVALID_CURSOR", 400, false, Caller),
    /// The identifier matches several customers.
    AmbiguousMatch = ("AMBIGUOUS_MATCH", 409, false, Caller),
    /// The caller has used up what it may ask in a length of time, or has too many streams open.
    RateLimited = ("RATE_LIMITED", 429, true, Caller),
    /// No document with that hash is known; send it once together with its hash.
    PersistedQueryNotFound = ("PERSISTED_QUERY_NOT_FOUND", 404, true, Caller),
    /// No trusted document has that id.
    DocumentNotFound = ("DOCUMENT_NOT_FOUND", 404, false, Caller),
    /// The caller may run trusted documents only, and this is none.
    DocumentNotTrusted = ("DOCUMENT_NOT_TRUSTED", 403, false, Caller),
    /// The request did not finish within its deadline.
    DeadlineExceeded = ("DEADLINE_EXCEEDED", 504, true, Operator),
    /// The gateway has as much work as it can take.
    Overloaded = ("OVERLOADED", 503, true, Operator),
    /// The source rejected the gateway's credentials.
    SourceUnauthorized = ("SOURCE_UNAUTHORIZED", 502, false, Operator),
    /// The source accepted the credentials and refused the operation.
    SourceForbidden = ("SOURCE_FORBIDDEN", 502, false, Operator),
    /// The source's rate limit or quota is used up.
    SourceRateLimited = ("SOURCE_RATE_LIMITED", 503, true, Vendor),
    /// The source did not answer in time.
    SourceTimeout = ("SOURCE_TIMEOUT", 504, true, Vendor),
    /// The source could not be reached or answered with a server error.
    SourceUnavailable = ("SOURCE_UNAVAILABLE", 503, true, Vendor),
    /// The source answered, and the answer does not fit its connector file.
    SourceInvalidResponse = ("SOURCE_INVALID_RESPONSE", 502, false, Operator),
    /// The source rejected the request as invalid.
    SourceRejected = ("SOURCE_REJECTED", 502, false, Operator),
    /// The connector file does not offer this operation.
    SourceUnsupported = ("SOURCE_UNSUPPORTED", 501, false, Operator),
    /// A vendor record lacks a value that the graph promises, so that it can't be shown.
    ValueMissing = ("VALUE_MISSING", 500, false, Operator),
    /// A failure of the gateway itself; the log has the cause under the same request id.
    Internal = ("INTERNAL", 500, true, Operator),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
