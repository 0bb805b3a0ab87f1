//! Guards keep the house: what a reviewer would otherwise have to remember.

mod addresses;
mod authorisation;
mod events;
mod imports;
mod leading_keys;
mod openapi;
mod permissions;
mod queries;
mod reads;
mod routes;
mod shop_play;
mod shop_story;
mod story;
mod template;
mod throttling;
