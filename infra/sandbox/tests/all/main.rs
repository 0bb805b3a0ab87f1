//! The sandbox from outside, over HTTP, as our clients and our webhooks see it. Signatures are checked here with code of
//! these tests, not with the code that made them.

#![recursion_limit = "256"]
// The lint knows tests only by `#[test]`.
#![allow(clippy::unwrap_used)]

mod faults;
mod pages;
mod paypal;
mod receiver;
mod stripe;
mod support;
mod webhooks;
