//! What is decided on, is read consistently. The one exception is a newest page that usage is folded into: the put fails if
//! it was stale.

use super::story::story;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_read_is_consistent_but_that_of_a_newest_page_to_fold_into() {
    let mut seen = BTreeSet::new();
    for call in story().await {
        let consistent = |read: &Value| read["ConsistentRead"].as_bool() == Some(true);
        let ok = match call.operation.as_str() {
            "GetItem" | "Scan" => consistent(&call.body),
            "BatchGetItem" => call.body["RequestItems"].as_object().unwrap().values().all(consistent),
            "Query" => {
                let is_head = call.body["TableName"].as_str().unwrap().ends_with("-ledger")
                    && call.body["ScanIndexForward"].as_bool() == Some(false)
                    && call.body["Limit"].as_u64() == Some(1);
                consistent(&call.body) || (is_head && call.function == "biller")
            }
            _ => continue,
        };
        assert!(ok, "{} of {:?}: {}", call.operation, call.function, call.body);
        seen.insert(call.operation);
    }
    assert_eq!(seen, ["BatchGetItem", "GetItem", "Query", "Scan"].map(str::to_owned).into());
}
