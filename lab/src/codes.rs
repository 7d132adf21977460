//! What vendors say, and the vendor-neutral names under which a script asks for it.

use std::fmt;

/// A refusal of a call. `status` is the HTTP status that it comes with.
#[derive(Debug, PartialEq)]
pub struct Code {
    pub code: &'static str,
    pub status: u16,
    pub message: &'static str,
}

/// What a receipt says.
#[derive(Debug, PartialEq)]
pub struct ReceiptCode {
    pub code: &'static str,
    pub success: bool,
    pub message: &'static str,
    /// The vendor's status word beside the code, where it has one.
    pub state: &'static str,
}

/// A vendor's codes, each under a name of its own, and all of them.
macro_rules! codes {
    ($($name:ident = $code:literal, $status:literal, $message:literal;)*) => {
        $(pub(crate) const $name: &$crate::codes::Code = &$crate::codes::Code {
            code: $code,
            status: $status,
            message: $message,
        };)*
        pub(crate) const ALL: &[&$crate::codes::Code] = &[$($name),*];
    };
}

/// A vendor's receipt codes: name, code, whether it is success, message, and the status word beside it.
macro_rules! ends {
    ($($name:ident = $code:literal, $success:literal, $message:literal, $state:literal;)*) => {
        $(pub(crate) const $name: &$crate::codes::ReceiptCode = &$crate::codes::ReceiptCode {
            code: $code,
            success: $success,
            message: $message,
            state: $state,
        };)*
        pub(crate) const ALL_ENDS: &[&$crate::codes::ReceiptCode] = &[$($name),*];
    };
}

pub(crate) use {codes, ends};

macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[$of:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $kind {
            $($(#[$of])* $name,)*
        }

        impl $kind {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in scripts.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            #[must_use]
            pub fn find(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text)
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// Why a call is refused; each vendor has a code for each.
    Condition {
        BadNumber = "bad_number",
        Blacklisted = "blacklisted",
        /// The number has had its share for the day.
        FrequencyCap = "frequency_cap",
        OutOfBalance = "out_of_balance",
        Throttled = "throttled",
        /// The vendor's own failure; the message was not taken.
        SystemError = "system_error",
        TemplateNotApproved = "template_not_approved",
    }
}

impl Condition {
    /// Whether it is about one number rather than the call.
    #[must_use]
    pub const fn of_number(self) -> bool {
        matches!(
            self,
            Self::BadNumber | Self::Blacklisted | Self::FrequencyCap
        )
    }
}

named! {
    /// How a message that was taken ends; each vendor has a code for each.
    End {
        Delivered = "delivered",
        /// The handset is off or the number empty.
        NotOnService = "not_on_service",
        /// The carrier found a forbidden word.
        Keyword = "keyword",
        /// The carrier gave no reason.
        CarrierFailure = "carrier_failure",
    }
}
