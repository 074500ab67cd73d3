//! In what the databases differ.
//!
//! Times go in and come out as microseconds since 1970, and are kept as Java's drivers keep them: a number of
//! milliseconds in SQLite, a local time without a zone in PostgreSQL, a moment in MySQL.
//!
//! Everything here gives fragments of SQL, of which others make statements. No value of a user is ever a part of a
//! fragment: values are bound. The one text that is, the name of a zone, is checked first.

use std::sync::Arc;

use elasticjob_config::zone::Zone;

use super::database::DatabaseKind;

/// The SQL of one database.
///
/// It is decided once, with the database, and not asked again for each statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres {
        /// The zone of local times.
        zone: Arc<str>,
    },
    MySql,
}

impl Dialect {
    /// Returns the dialect of a kind of database. Its times without a zone are in `zone`.
    pub(super) fn new(kind: DatabaseKind, zone: &Zone) -> Self {
        match kind {
            DatabaseKind::Sqlite => Self::Sqlite,
            DatabaseKind::MySql => Self::MySql,
            DatabaseKind::Postgres => {
                let name = zone.name();
                // It stands in SQL. If the zone of a machine has no name, it is taken to be on UTC.
                let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c));
                let zone = if is_plain && name != "system" { name } else { "UTC" };
                Self::Postgres { zone: zone.into() }
            }
        }
    }

    /// The parameter with this number, counted from 1.
    pub(super) fn parameter(&self, number: usize) -> String {
        match self {
            Self::Sqlite | Self::MySql => "?".to_owned(),
            Self::Postgres { .. } => format!("${number}"),
        }
    }

    /// A moment of so many microseconds as it is kept.
    pub(super) fn time_in(&self, microseconds: &str) -> String {
        match self {
            Self::Sqlite => format!("({microseconds} / 1000)"),
            Self::Postgres { zone } => format!(
                "((TIMESTAMPTZ 'epoch' + CAST({microseconds} AS BIGINT) * INTERVAL '1 microsecond') AT TIME ZONE '{zone}')"
            ),
            Self::MySql => format!("FROM_UNIXTIME({microseconds} * 0.000001)"),
        }
    }

    /// The microseconds of a moment that is kept.
    pub(super) fn time_out(&self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("(CAST({column} AS INTEGER) * 1000)"),
            Self::Postgres { zone } => {
                format!("CAST(EXTRACT(EPOCH FROM {column} AT TIME ZONE '{zone}') * 1000000 AS BIGINT)")
            }
            Self::MySql => format!("CAST(UNIX_TIMESTAMP({column}) * 1000000 AS SIGNED)"),
        }
    }

    /// A number that is 0 or 1 as the flag that is kept.
    pub(super) fn flag_in(&self, number: &str) -> String {
        match self {
            Self::Sqlite | Self::MySql => number.to_owned(),
            Self::Postgres { .. } => format!("(CAST({number} AS BIGINT) <> 0)"),
        }
    }

    /// The condition that a flag is set, or not, in a form that an index serves.
    pub(super) fn is_flag(&self, column: &str, is_set: bool) -> String {
        match self {
            Self::Sqlite | Self::MySql => format!("{column} = {}", u8::from(is_set)),
            Self::Postgres { .. } => format!("{column} = {is_set}"),
        }
    }

    /// A quotient without its fraction.
    ///
    /// Both are expressions. MySQL has a division of its own for that: its usual one gives a fraction.
    pub(super) fn whole_quotient(&self, dividend: &str, divisor: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres { .. } => format!("({dividend} / {divisor})"),
            Self::MySql => format!("({dividend} DIV {divisor})"),
        }
    }

    /// Returns an expression as a number of 64 bits.
    pub(super) fn integer(&self, expression: &str) -> String {
        match self {
            Self::Sqlite => format!("CAST({expression} AS INTEGER)"),
            Self::Postgres { .. } => format!("CAST({expression} AS BIGINT)"),
            Self::MySql => format!("CAST({expression} AS SIGNED)"),
        }
    }
}
