//! The HTTP endpoints, by path.

mod health;
mod kit;
