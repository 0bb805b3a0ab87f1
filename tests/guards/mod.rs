//! Guards keep the house: what a reviewer would otherwise have to remember.

mod authorisation;
mod events;
mod imports;
mod openapi;
mod permissions;
mod reads;
mod routes;
mod shop_play;
mod shop_story;
mod story;
mod template;
