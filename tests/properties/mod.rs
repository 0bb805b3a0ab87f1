//! Properties that must hold whatever happens.

mod chaos;
mod mutants;
