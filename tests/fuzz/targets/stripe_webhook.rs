//! Stripe's signature: the header is a stranger's, the body, too. What was not signed never holds, what was signed always does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::Secret;
use providers::stripe::signature::{parse, sign, verify};

const NOW: i64 = 1_794_000_000;

fuzz_target!(|data: (&str, &[u8])| {
    let (header, body) = data;
    let secrets = [Secret::new("whsec_one"), Secret::new("whsec_two")];
    let _ = parse(header);
    assert!(verify(header, body, &secrets, NOW).is_err(), "a signature that nobody made");
    let hex: String = sign(&secrets[1], NOW, body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(verify(&format!("t={NOW},v1={hex}"), body, &secrets, NOW).is_ok());
    assert!(verify(&format!("t={NOW},v1={hex}"), body, &secrets, NOW + 301).is_err());
    assert!(verify(&format!("t={},v1={hex}", NOW + 1), body, &secrets, NOW).is_err());
});
