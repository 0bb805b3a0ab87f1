//! What was done about balances that ran low, written down together with the mail that tells of it: either both, or neither.
//! So whoever is gone between two calls leaves nothing half done, and nobody is told twice.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, s, text};
use crate::keys::{self, PK, SK};
use crate::low_balance::{LowBalance, Watched};
use crate::outbox::OutboxMail;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, TransactWriteItem, Update};
use domain::{Amount, Timestamp};

/// Events of one transaction; a mail's two writes are beside them.
const EVENTS_PER_WRITE: usize = 90;
/// Tries of a write against others.
const MAX_ROUNDS: usize = 4;

/// What a look at a watched balance came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The balance.
    pub balance: Amount,
    /// How many top-ups were tried, this one included.
    pub top_ups: u64,
    /// The settings of the one that was tried last; `None` where it is to be tried again.
    pub tried: Option<String>,
    /// The mail that tells of it.
    pub mail: Option<OutboxMail>,
}

impl Store {
    /// Events are dealt with: they go, and the mail that tells of them is in the outbox, in one transaction. A mail that was
    /// there already stays as it was.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a mail that could never be sent; DynamoDB's: the events are then found again.
    pub async fn low_balance_settle(
        &self,
        events: &[LowBalance],
        mail: Option<&OutboxMail>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut mail = mail;
        for chunk in events.chunks(EVENTS_PER_WRITE) {
            let mut rounds = 0;
            loop {
                let mut actions =
                    chunk.iter().map(|event| self.drop_action(event.key())).collect::<Result<Vec<_>, _>>()?;
                actions.extend(self.mail_actions_of(mail, now)?);
                match self.transact(Area::Rollups, actions).await {
                    Ok(()) => break,
                    Err(StoreError::Conflict(_)) if rounds < MAX_ROUNDS => rounds += 1,
                    Err(error) => return Err(error),
                }
                if let Some(known) = mail
                    && self.mail_get(&known.id).await?.is_some()
                {
                    mail = None;
                }
            }
            // It went with the first of them.
            mail = None;
        }
        Ok(())
    }

    /// Notes a look at a watched balance, with its mail. `false` where somebody else has looked since: they have done it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a mail that could never be sent; DynamoDB's: whether it was noted is then unknown, and the
    /// next look finds out.
    pub async fn watch_settle(&self, watched: &Watched, look: &Look, now: Timestamp) -> Result<bool, StoreError> {
        let mut actions = vec![self.look_action(watched, look)?];
        let is_new = match &look.mail {
            // Should the look before have been noted although nobody heard so, the revision tells.
            Some(mail) => self.mail_get(&mail.id).await?.is_none(),
            None => false,
        };
        actions.extend(self.mail_actions_of(look.mail.as_ref().filter(|_| is_new), now)?);
        match self.transact(Area::Rollups, actions).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the last look at the watched balances stopped, for [`Store::watch_list`]; `None` at the beginning.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn watch_mark(&self) -> Result<Option<Item>, StoreError> {
        self.mark(keys::WATCH).await
    }

    /// Notes where a look stopped; `None` at the end.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn watch_mark_set(&self, after: Option<&Watched>) -> Result<(), StoreError> {
        self.mark_set(keys::WATCH, after.map(|watched| keys::watched(&watched.customer, watched.unit))).await
    }

    /// Where the last run through a partition stopped; `None` at the beginning.
    pub(crate) async fn mark(&self, partition: &str) -> Result<Option<Item>, StoreError> {
        let item = self.get(Area::Rollups, keys::LIFECYCLE.to_owned(), partition.to_owned()).await?;
        let after = item.as_ref().and_then(|item| text(item, MARK)).filter(|after| !after.is_empty());
        Ok(after.map(|after| Item::from([(PK.to_owned(), s(partition)), (SK.to_owned(), s(after))])))
    }

    /// Notes after which sort key a run stopped; `None` at the end. A mark that is lost only means beginning again.
    pub(crate) async fn mark_set(&self, partition: &str, after: Option<String>) -> Result<(), StoreError> {
        let request = self
            .client()
            .update_item()
            .table_name(&self.tables().main)
            .key(PK, s(keys::LIFECYCLE))
            .key(SK, s(partition))
            .update_expression(expr::LIFECYCLE_MARK)
            .expression_attribute_values(":mark", s(after.unwrap_or_default()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("UpdateItem", &e))?;
        self.capacity().wrote(Area::Rollups, answer.consumed_capacity.as_slice());
        Ok(())
    }

    fn mail_actions_of(&self, mail: Option<&OutboxMail>, now: Timestamp) -> Result<Vec<TransactWriteItem>, StoreError> {
        mail.map_or_else(|| Ok(Vec::new()), |mail| self.mail_actions(mail, now))
    }

    fn look_action(&self, watched: &Watched, look: &Look) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables().main)
            .key(PK, s(keys::WATCH))
            .key(SK, s(keys::watched(&watched.customer, watched.unit)))
            .update_expression(expr::WATCH_LOOK)
            .expression_attribute_values(":seen", n(look.balance.steps()))
            .expression_attribute_values(":next", n(watched.looks + 1))
            .expression_attribute_values(":top_ups", n(look.top_ups))
            .expression_attribute_values(":tried", s(look.tried.clone().unwrap_or_default()));
        let update = if watched.looks == 0 {
            update.condition_expression(expr::WATCH_FIRST_LOOK)
        } else {
            let update = update.condition_expression(expr::WATCH_SAME_LOOK);
            update.expression_attribute_values(":looks", n(watched.looks))
        };
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// Attribute of the mark.
const MARK: &str = "mark";
