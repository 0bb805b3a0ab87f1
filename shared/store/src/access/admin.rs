//! Role and status as an admin changes them, and as a change needs them to be, in the transaction of the change.

use super::{Access, KEYS, ROLE, SESSIONS, STATUS, read_access};
use crate::client::Store;
use crate::error::StoreError;
use crate::expr;
use crate::item::{Item, s};
use crate::keys::{self, PK, SK};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use domain::Id;
use domain::account::{Role, Status};
use std::collections::HashMap;

/// Whether a status leaves no session and no API key.
fn ends(status: Status) -> bool {
    match status {
        Status::Active | Status::Suspended => false,
        Status::Deactivated | Status::Deleted => true,
    }
}

impl Access {
    pub(crate) fn read(item: &Item) -> Result<Self, StoreError> {
        read_access(item)
    }

    /// As [`Store::access_change_action`] leaves it.
    pub(crate) fn changed(self, role: Role, status: Status) -> Self {
        if ends(status) {
            return Self { role, status, sessions: Default::default(), keys: Default::default() };
        }
        Self { role, status, ..self }
    }
}

impl Store {
    /// Action: another role or status, where both are still as they were read.
    pub(crate) fn access_change_action(
        &self,
        user: &Id,
        old: &Access,
        role: Role,
        status: Status,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = self
            .access_action(user)
            .condition_expression(expr::ACCESS_AS_READ)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_names("#role", ROLE)
            .expression_attribute_values(":old_status", s(old.status.as_str()))
            .expression_attribute_values(":old_role", s(old.role.as_str()))
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":role", s(role.as_str()));
        let update = if ends(status) {
            update
                .update_expression(expr::ACCESS_CHANGE_END)
                .expression_attribute_names("#keys", KEYS)
                .expression_attribute_names("#sessions", SESSIONS)
                .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
        } else {
            update.update_expression(expr::ACCESS_CHANGE)
        };
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Action that changes nothing: `user` is active at the moment of the transaction.
    pub(crate) fn access_active_check(&self, user: &Id) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.tables().main)
            .key(PK, s(keys::access(user)))
            .key(SK, s(keys::ACCESS))
            .condition_expression(expr::ACCESS_IS_ACTIVE)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":active", s(Status::Active.as_str()))
            .build()
            .map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Action that changes nothing: `admin` is an active admin at the moment of the transaction.
    pub(crate) fn access_admin_check(&self, admin: &Id) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.tables().main)
            .key(PK, s(keys::access(admin)))
            .key(SK, s(keys::ACCESS))
            .condition_expression(expr::ACCESS_IS_ADMIN)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_names("#role", ROLE)
            .expression_attribute_values(":active", s(Status::Active.as_str()))
            .expression_attribute_values(":admin", s(Role::Admin.as_str()))
            .build()
            .map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
