//! A map that forgets its oldest entries. Owns the bound; knows nothing of what it holds.

use std::collections::{HashMap, VecDeque};

/// Entries by id, in the order they came.
#[derive(Debug)]
pub(crate) struct Bounded<T> {
    most: usize,
    entries: HashMap<String, T>,
    order: VecDeque<String>,
    forgotten: u64,
}

impl<T> Bounded<T> {
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), entries: HashMap::new(), order: VecDeque::new(), forgotten: 0 }
    }

    pub fn insert(&mut self, id: &str, entry: T) {
        if self.entries.insert(id.to_owned(), entry).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
                self.forgotten += 1;
            }
        }
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.entries.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.entries.get_mut(id)
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &T> {
        self.order.iter().rev().filter_map(|id| self.entries.get(id))
    }

    /// How many are gone.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
