//! Words on the ledger of which later versions may know more.

/// Declares an enum that is one word in JSON. A word that this version does not know is kept as it was written, and
/// does not stop it from reading the event.
macro_rules! words_that_grow {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(from = "String", into = "String")]
        #[schemars(with = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$of])* $variant,)+
            /// A word of a later version, as it was written.
            Unknown(String),
        }

        impl $name {
            /// The word as it is written in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Unknown(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                match word {
                    $name::Unknown(word) => word,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::event::{Body, CancelCause};

    #[test]
    fn a_word_of_a_later_version_is_kept_verbatim() {
        let data = r#"{"event_id":"5-bcdfghjk","recipients":["alice"],"cause":"moot","reason":"x"}"#;
        let body = Body::parse("chat.cancel", data).unwrap();
        let Body::ChatCancel(cancel) = &body else { panic!("{body:?}") };
        assert_eq!(cancel.cause, Some(CancelCause::Unknown("moot".into())));
        assert_eq!(body.data_json().unwrap(), data);
        let known = Body::parse("chat.cancel", &data.replace("moot", "expired")).unwrap();
        assert!(matches!(known, Body::ChatCancel(cancel) if cancel.cause == Some(CancelCause::Expired)));
    }
}
