//! How the tables are that are there: by whichever member, operator or migration they were made.
//!
//! The columns are read once a connection works, and again after the database refused rows. What is written keeps to
//! them: a column that is absent is left out, and a text is made to fit.
//!
//! A table that is not known has all columns at the widths of our own definitions. So a user who may write but not look
//! into the catalogue of the database can still record.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::dialect::Dialect;
use super::fit::{LONGEST, Letters, Room};
use super::schema::{DETAILS, EXECUTIONS, SKIPPED, STATES, STATUSES};
use super::statement::{ColumnKind, Statement, Table};

/// The tables that rows are written to.
pub(super) const WRITTEN: [&Table; 5] = [&EXECUTIONS, &STATUSES, &DETAILS, &STATES, &SKIPPED];

/// What is known of the tables. Of one that is not in it nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape(BTreeMap<&'static str, BTreeMap<String, Column>>);

/// What a database says of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column {
    /// `None` where nothing limits it.
    characters: Option<usize>,
    bytes: Option<usize>,
    letters: Letters,
}

impl Shape {
    /// Records what [`columns`] found of a table.
    pub(super) fn learn(
        &mut self,
        table: &'static Table,
        dialect: &Dialect,
        rows: &[AnyRow],
    ) -> Result<(), sqlx::Error> {
        let mut columns = BTreeMap::new();
        for row in rows {
            let name: String = row.try_get(0)?;
            columns.insert(name.to_ascii_lowercase(), Column::read(dialect, row)?);
        }
        if !columns.is_empty() {
            self.0.insert(table.name, columns);
        }
        Ok(())
    }

    /// Returns whether a table was found.
    pub(super) fn knows(&self, table: &Table) -> bool {
        self.0.contains_key(table.name)
    }

    /// Returns whether a table has a column. One that nothing is known of has all.
    pub(super) fn has(&self, table: &Table, column: &str) -> bool {
        self.0
            .get(table.name)
            .is_none_or(|columns| columns.contains_key(column))
    }

    /// The room that a column of texts has, which is `declared` by our own definition of it.
    pub(super) fn room(&self, table: &Table, column: &str, declared: usize) -> Room {
        let Some(column) = self.0.get(table.name).and_then(|columns| columns.get(column)) else {
            return Room::of(declared);
        };
        Room {
            characters: column.characters.unwrap_or(declared).min(LONGEST),
            bytes: column.bytes,
            letters: column.letters,
        }
    }

    /// Returns what the tables cannot hold of what there is to write, beside their widths.
    pub(super) fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        for table in WRITTEN {
            for (name, kind) in table.columns {
                // The tables of Java 3.0.5 have none.
                let is_optional = (table.name, *name) == (STATUSES.name, "source");
                if !self.has(table, name) && !is_optional {
                    lacks.push(format!("{}.{name} is missing", table.name));
                }
                let letters = self.room(table, name, LONGEST).letters;
                if matches!(kind, ColumnKind::Account(_)) && letters != Letters::All {
                    lacks.push(format!("{}.{name} does not hold all letters", table.name));
                }
            }
        }
        lacks
    }
}

impl Column {
    /// Reads the columns 1 to 4 of a row: characters, bytes, type, character set.
    fn read(dialect: &Dialect, row: &AnyRow) -> Result<Self, sqlx::Error> {
        let natural = |column: usize| -> Result<Option<usize>, sqlx::Error> {
            let number: Option<i64> = row.try_get(column)?;
            Ok(number.and_then(|number| usize::try_from(number).ok()))
        };
        let (characters, bytes) = (natural(1)?, natural(2)?);
        let (kind, set): (String, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
        Ok(match dialect {
            // It keeps to no width.
            Dialect::Sqlite => Self {
                characters: None,
                bytes: None,
                letters: Letters::All,
            },
            Dialect::Postgres { .. } => {
                let encoding = set.unwrap_or_default();
                // A character is a byte there.
                let counts_bytes = encoding == "SQL_ASCII";
                Self {
                    characters: characters.filter(|_| !counts_bytes).or(Some(LONGEST)),
                    bytes: characters.filter(|_| counts_bytes),
                    letters: Letters::of_postgres(&encoding),
                }
            }
            Dialect::MySql => {
                let letters = set.as_deref().map_or(Letters::All, Letters::of_mysql);
                let is_wide = matches!(set.as_deref(), Some("utf16" | "utf16le" | "utf32" | "ucs2"));
                match (kind.ends_with("text"), is_wide) {
                    (false, _) => Self {
                        characters,
                        bytes: None,
                        letters,
                    },
                    // Limited by bytes, of which a letter takes four at most.
                    (true, true) => Self {
                        characters: bytes.map(|bytes| bytes / 4),
                        bytes: None,
                        letters,
                    },
                    (true, false) => Self {
                        characters: Some(LONGEST),
                        bytes,
                        letters,
                    },
                }
            }
        })
    }
}

/// Asks for the columns of a table: name, width in characters and in bytes, type, character set.
pub(super) fn columns(dialect: &Dialect, table: &Table) -> Statement {
    let name = table.name;
    let mut query = Statement::new();
    query.push(&match dialect {
        Dialect::Sqlite => {
            format!("SELECT name, CAST(NULL AS INTEGER), CAST(NULL AS INTEGER), type, CAST(NULL AS TEXT) FROM pragma_table_info('{name}')")
        }
        // The width of these types is in the modifier, and four more.
        Dialect::Postgres { .. } => format!(
            "SELECT CAST(a.attname AS TEXT), \
             CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN CAST(a.atttypmod - 4 AS BIGINT) END, \
             CAST(NULL AS BIGINT), CAST(t.typname AS TEXT), CAST(current_setting('server_encoding') AS TEXT) \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             WHERE a.attrelid = to_regclass('{name}') AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        Dialect::MySql => format!(
            "SELECT CAST(column_name AS CHAR(100)), CAST(character_maximum_length AS SIGNED), \
             CAST(character_octet_length AS SIGNED), CAST(data_type AS CHAR(100)), CAST(character_set_name AS CHAR(100)) \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{name}'"
        ),
    });
    query
}
