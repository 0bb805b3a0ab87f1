//! Every integration test, in one binary.

#![recursion_limit = "256"]
#![allow(missing_docs)]
// A test that unwraps what is not there fails, and says where.
#![allow(clippy::unwrap_used)]

mod flows;
mod guards;
mod properties;
mod routes;
