//! Why a payment came to nothing, as its customer may read it. A processor's own code may say what a bank suspects (a stolen
//! card, a fraud); that is for an operator, who reads the code itself.

/// What a customer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    /// There is not enough money.
    Funds,
    /// The card has expired.
    Expired,
    /// A number, date or code of the card is wrong.
    Details,
    /// The bank wants the customer to confirm.
    Confirmation,
    /// Nothing is wrong with the card: the same again may do.
    Later,
    /// Anything else.
    Other,
}

impl Decline {
    /// From a processor's code, or our own.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code.to_ascii_lowercase().as_str() {
            "insufficient_funds" => Self::Funds,
            "expired_card" => Self::Expired,
            "incorrect_number"
            | "incorrect_cvc"
            | "incorrect_zip"
            | "incorrect_address"
            | "invalid_number"
            | "invalid_cvc"
            | "invalid_expiry_month"
            | "invalid_expiry_year" => Self::Details,
            "authentication_required" | "payment_intent_authentication_failure" => Self::Confirmation,
            "processing_error" | "issuer_not_available" | "try_again_later" | "never_reached_the_processor" => {
                Self::Later
            }
            _ => Self::Other,
        }
    }

    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Funds => "insufficient_funds",
            Self::Expired => "expired_card",
            Self::Details => "incorrect_details",
            Self::Confirmation => "authentication_required",
            Self::Later => "try_again_later",
            Self::Other => "declined",
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Funds => "there is not enough money",
            Self::Expired => "the card has expired",
            Self::Details => "the number, date or code of the card is wrong",
            Self::Confirmation => "your bank asks you to confirm it",
            Self::Later => "it could not be processed; try again later",
            Self::Other => "it was declined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bank_suspects_is_not_told() {
        for code in
            ["stolen_card", "lost_card", "fraudulent", "pickup_card", "generic_decline", "INSTRUMENT_DECLINED", ""]
        {
            assert_eq!(Decline::of(code).as_str(), "declined", "{code}");
        }
        assert_eq!(Decline::of("insufficient_funds"), Decline::Funds);
        assert_eq!(Decline::of("INVALID_CVC"), Decline::Details);
    }
}
