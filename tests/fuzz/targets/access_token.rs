//! Access tokens: whatever is presented, nothing holds that the key did not sign.
#![no_main]

use api::access::check;
use api::api_key;
use jsonwebtoken::DecodingKey;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The public key of RFC 7515, A.3: nobody here has signed anything with it.
static KEY: LazyLock<DecodingKey> = LazyLock::new(|| {
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    DecodingKey::from_ec_components(x, y).expect("the key is one")
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(check(text, &KEY, 1_794_000_000).is_err());
    if let Some(key) = api_key::parse(text) {
        assert!(!api_key::holds(key.secret, &"0".repeat(64)));
        // Taken apart and put together it is the same key.
        let written = api_key::write(&key.user, &key.id, key.secret);
        assert_eq!(api_key::parse(&written).as_ref(), Some(&key));
    }
});
