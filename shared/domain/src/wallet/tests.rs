//! The rules of the wallet, one test each.

mod adjust;
mod export;
mod fold;
mod fold_edges;
