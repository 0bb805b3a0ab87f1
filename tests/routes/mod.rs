//! The HTTP endpoints, by path.

mod admin;
mod auth;
mod auth_api_keys;
mod auth_email;
mod auth_login;
mod auth_second_factor;
mod auth_sessions;
pub mod billing;
mod billing_lists;
mod billing_money;
mod billing_settings;
mod health;
mod kit;
mod kit_requests;
mod payments;
