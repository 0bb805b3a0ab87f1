//! Cards a customer has saved at Stripe. Nothing of them is kept here.

use crate::{Cashier, CashierError};
use domain::payment::Processor;
use domain::{Id, Timestamp};
use providers::CallError;
use providers::stripe::StripeMethod;

/// Lists of methods that are forgotten at once.
const MAX_LISTS: usize = 5;

/// A saved method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMethod {
    /// The processor's id.
    pub id: String,
    /// Whose it is.
    pub processor: Processor,
    /// `visa`.
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<u32>,
    /// Four digits.
    pub exp_year: Option<u32>,
    /// When it was saved.
    pub created_at: Option<Timestamp>,
}

impl Cashier {
    /// A customer's saved methods, newest first. Who never paid by card has none.
    ///
    /// # Errors
    /// The store's or the processor's.
    pub async fn methods(&self, customer: &Id) -> Result<Vec<SavedMethod>, CashierError> {
        let Some(stripe) = self.stripe.as_deref() else { return Ok(Vec::new()) };
        match self.store.processor_customer(Processor::Stripe, customer).await? {
            Some(name) => {
                let methods = stripe.methods(&name).await.map_err(CashierError::of)?;
                Ok(methods.into_iter().map(saved).collect())
            }
            None => Ok(Vec::new()),
        }
    }

    /// Whether a method is saved, and this customer's.
    ///
    /// # Errors
    /// [`CashierError::NotFound`] where it is not; the store's or the processor's.
    pub async fn method_of(&self, customer: &Id, method: &str) -> Result<SavedMethod, CashierError> {
        let name = self.store.processor_customer(Processor::Stripe, customer).await?.ok_or(CashierError::NotFound)?;
        let found = unless_gone(self.stripe()?.method(method).await)?;
        let theirs = found.filter(|found| found.customer.as_deref() == Some(&name));
        theirs.map(saved).ok_or(CashierError::NotFound)
    }

    /// Forgets a customer's saved method, for ever.
    ///
    /// # Errors
    /// As [`Cashier::method_of`].
    pub async fn method_delete(&self, customer: &Id, method: &str) -> Result<(), CashierError> {
        let found = self.method_of(customer, method).await?;
        self.stripe()?.detach_method(&found.id).await.map_err(CashierError::of)
    }

    /// Forgets all of a customer's saved methods, for ever. `false` where more may be left: call again.
    ///
    /// # Errors
    /// As [`Cashier::methods`]; then some may be left.
    pub async fn methods_forget(&self, customer: &Id) -> Result<bool, CashierError> {
        let Some(name) = self.store.processor_customer(Processor::Stripe, customer).await? else { return Ok(true) };
        // Whoever takes no cards at the moment may do so again: the name is the only handle on what Stripe keeps.
        let Some(stripe) = self.stripe.as_deref() else { return Ok(false) };
        for _ in 0..MAX_LISTS {
            // Whom Stripe does not know, it keeps nothing of.
            let methods = unless_gone(stripe.methods(&name).await)?.unwrap_or_default();
            if methods.is_empty() {
                return Ok(true);
            }
            for method in methods {
                unless_gone(stripe.detach_method(&method.id).await)?;
            }
        }
        Ok(false)
    }
}

/// What was found; nothing where the processor has no such thing.
fn unless_gone<T>(answer: Result<T, CallError>) -> Result<Option<T>, CashierError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
        Err(error) => Err(CashierError::of(error)),
    }
}

fn saved(method: StripeMethod) -> SavedMethod {
    SavedMethod {
        id: method.id,
        processor: Processor::Stripe,
        brand: method.brand,
        last4: method.last4,
        exp_month: method.exp_month,
        exp_year: method.exp_year,
        created_at: Timestamp::from_secs(method.created).ok(),
    }
}
