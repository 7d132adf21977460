//! Who we are, in Lexin's forms. Pure.
//!
//! Source: the vendor's table of parameters (`accPwd` is the upper-case hex MD5 of the password; 123456 gives
//! `E10ADC3949BA59ABBE56E057F20F883E`) and its demo (`send2`: MD5 of that digest followed by the seed, a time as
//! `yyyyMMddHHmmss`). The letter case of what send2 hashes and sends is not confirmed, nor the zone of its time, for which
//! Beijing is taken.

use jixinda_runtime::secret::Secret;
use jixinda_schemas::Timestamp;
use md5::{Digest, Md5};

use crate::vendors::times::beijing_compact;

/// Secrets of an account.
#[derive(Clone, Debug)]
pub enum Login {
    /// `accName` and `accPwd`.
    Name { name: Secret, password: Password },
    /// `AppID` and `AppSecret`.
    App { id: Secret, secret: Secret },
}

/// The digest of the password.
#[derive(Clone, Debug)]
pub enum Password {
    /// Sent as it is.
    Plain(Secret),
    /// Hashed once more with the time, in the letter case.
    Seeded { password: Secret, upper: bool },
}

impl Login {
    /// The fields of a form.
    #[must_use]
    pub fn fields(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        match self {
            Self::App { id, secret } => vec![
                ("AppID", id.expose().to_owned()),
                ("AppSecret", secret.expose().to_owned()),
            ],
            Self::Name {
                name,
                password: Password::Plain(password),
            } => vec![
                ("accName", name.expose().to_owned()),
                ("accPwd", password.expose().to_owned()),
            ],
            Self::Name {
                name,
                password: Password::Seeded { password, upper },
            } => {
                let seed = beijing_compact(now);
                let hashed = md5(&format!("{}{seed}", password.expose()), *upper);
                vec![
                    ("accName", name.expose().to_owned()),
                    ("accPwd", hashed),
                    ("seed", seed),
                ]
            }
        }
    }
}

/// Hex MD5 of a text.
#[must_use]
pub fn md5(text: &str, upper: bool) -> String {
    let digest = Md5::digest(text);
    if upper {
        hex::encode_upper(digest)
    } else {
        hex::encode(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_beijing_time_and_part_of_the_digest() {
        let login = |password| Login::Name {
            name: Secret::new("n"),
            password,
        };
        let secret = || Secret::new("E10ADC3949BA59ABBE56E057F20F883E");
        let now = Timestamp(1_735_787_045_000);
        let seeded = |upper| Password::Seeded {
            password: secret(),
            upper,
        };
        let fields = login(seeded(true)).fields(now);
        assert_eq!(fields[2], ("seed", "20250102110405".to_owned()));
        let wanted = md5("E10ADC3949BA59ABBE56E057F20F883E20250102110405", true);
        assert_eq!(fields[1], ("accPwd", wanted.clone()));
        let lower = &login(seeded(false)).fields(now)[1].1;
        assert_eq!(*lower, wanted.to_lowercase());
        let plain = login(Password::Plain(secret()));
        assert_eq!(plain.fields(now)[1].1, secret().expose());
        assert!(!format!("{plain:?}").contains("E10ADC"));
    }
}
