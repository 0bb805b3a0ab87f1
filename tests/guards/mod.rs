//! Guards keep the house: what a reviewer would otherwise have to remember.

mod events;
mod imports;
mod permissions;
mod reads;
mod story;
mod template;
