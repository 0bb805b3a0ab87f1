//! How pages of the ledger are named to whom they belong.

use domain::tenure::WalletId;
use domain::{Id, Unit};

/// Longest id that is looked at, in bytes.
const MAX_ID_BYTES: usize = 64;

/// The name of a page among its customer's.
#[must_use]
pub fn transaction_id(wallet: &WalletId, seq: u64) -> String {
    format!("txn_{}_{}_{seq}", wallet.unit.as_str(), wallet.lane)
}

/// Undoes [`transaction_id`], as a customer's. Only the one way of writing it is understood.
#[must_use]
pub fn parse_transaction_id(text: &str, customer: &Id) -> Option<(WalletId, u64)> {
    let mut parts = text.strip_prefix("txn_").filter(|_| text.len() <= MAX_ID_BYTES)?.split('_');
    let (unit, lane, seq) = (Unit::parse(parts.next()?)?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let wallet = WalletId { customer: customer.clone(), unit, lane };
    (transaction_id(&wallet, seq) == text).then_some((wallet, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_name() {
        let customer = Id::new("usr_1").unwrap();
        let (wallet, seq) = parse_transaction_id("txn_token_3_12", &customer).unwrap();
        assert_eq!((wallet.unit, wallet.lane, seq, &wallet.customer), (Unit::Token, 3, 12, &customer));
        assert_eq!(transaction_id(&wallet, seq), "txn_token_3_12");
        for wrong in [
            "",
            "txn_",
            "txn_usd_0",
            "txn_usd_00_1",
            "txn_usd_0_01",
            "txn_usd_0_+1",
            "txn_eur_0_1",
            "txn_usd_0_1_1",
            "usd_0_1",
            "txn_usd_70000_1",
            "txn_usd_-1_1",
            "txn_usd_0_99999999999999999999999",
            "TXN_usd_0_1",
        ] {
            assert_eq!(parse_transaction_id(wrong, &customer), None, "{wrong}");
        }
    }
}
