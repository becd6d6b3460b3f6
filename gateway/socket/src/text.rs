//! Owns [`Text`]: what a socket sends. Must not know what the text means.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The text of one message, shared: a clone is a reference count, whatever the length.
///
/// Checked to be UTF-8 once, when made. Encode once per audience and clone for each recipient.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text(Utf8Bytes);

impl Text {
    /// A text that lives as long as the process; nothing is copied.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Utf8Bytes::from_static(text))
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        self.0.as_ref()
    }
}

impl From<String> for Text {
    /// Takes the string's own memory.
    fn from(text: String) -> Self {
        Self(Utf8Bytes::from(text))
    }
}

impl From<&str> for Text {
    /// Copies.
    fn from(text: &str) -> Self {
        Self(Utf8Bytes::from(text))
    }
}

impl TryFrom<Bytes> for Text {
    type Error = std::str::Utf8Error;

    /// Shares the bytes after checking them.
    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        Utf8Bytes::try_from(bytes).map(Self)
    }
}
