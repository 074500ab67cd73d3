//! Makes texts fit into the columns that are there.
//!
//! Pure. A text that is too long is cut by characters and ends with an ellipsis. A letter that a column cannot hold is
//! replaced, and the others stay. So a database has no reason to refuse a row for its texts.
//!
//! Whether a letter can be held is asked of the encoding itself and not of a list. A character set that is not known is taken
//! for ASCII, which nearly all of them hold.

use encoding_rs::Encoding;

/// The longest text that is written, in characters. Java members cut there, too.
pub(super) const LONGEST: usize = 4000;

/// What a column of texts holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// At most so many characters,
    pub(super) characters: usize,
    /// and so many bytes of UTF-8, if these are limited.
    pub(super) bytes: Option<usize>,
    pub(super) letters: Letters,
}

/// Which letters a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    All,
    /// Those of at most three bytes in UTF-8. MySQL calls this character set `utf8`.
    BasicPlane,
    /// Those of ISO 8859-1.
    Latin1,
    /// Those of another character set.
    Of(&'static Encoding),
    Ascii,
}

/// How much of the texts is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// As much as the columns hold, as far as they are known.
    Fitted,
    /// The same in ASCII: the database refused the first.
    Ascii,
    /// No reasons and causes, which no reader needs to know how a run ended: the database refused the others.
    LeftOut,
}

impl Letters {
    /// Returns the letters of a character set of MySQL and MariaDB.
    pub(super) fn of_mysql(character_set: &str) -> Self {
        match character_set {
            "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" | "binary" => Self::All,
            "utf8" | "utf8mb3" | "ucs2" => Self::BasicPlane,
            // Its name for the set of Windows.
            "latin1" => Self::labelled("windows-1252"),
            other => Self::of_both(other),
        }
    }

    /// Returns the letters of an encoding of PostgreSQL.
    pub(super) fn of_postgres(encoding: &str) -> Self {
        match encoding {
            // The second takes every byte as it comes.
            "UTF8" | "SQL_ASCII" => Self::All,
            "LATIN1" => Self::Latin1,
            other => Self::of_both(&other.to_ascii_lowercase().replace('_', "")),
        }
    }

    /// Where the label names a larger set (GB 2312 is a part of GBK), the database refuses what it does not hold.
    fn of_both(name: &str) -> Self {
        if let Some(page) = name.strip_prefix("win").or_else(|| name.strip_prefix("cp"))
            && let "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258" = page
        {
            return Self::labelled(&format!("windows-{page}"));
        }
        if let Some(part) = name.strip_prefix("iso8859")
            && let "5" | "6" | "7" | "8" = part
        {
            return Self::labelled(&format!("iso-8859-{part}"));
        }
        Self::labelled(match name {
            "gbk" | "gb2312" | "euccn" => "gbk",
            "big5" => "big5",
            "sjis" | "cp932" => "shift_jis",
            "ujis" | "eucjpms" | "eucjp" | "eucjis2004" => "euc-jp",
            "euckr" => "euc-kr",
            "latin2" => "iso-8859-2",
            "latin3" => "iso-8859-3",
            "latin4" => "iso-8859-4",
            "latin5" => "windows-1254",
            "latin6" => "iso-8859-10",
            "latin7" => "iso-8859-13",
            "latin8" => "iso-8859-14",
            "latin9" => "iso-8859-15",
            "latin10" => "iso-8859-16",
            "greek" => "iso-8859-7",
            "hebrew" => "iso-8859-8",
            "koi8r" => "koi8-r",
            "koi8u" => "koi8-u",
            "cp866" | "win866" => "ibm866",
            "tis620" | "win874" => "windows-874",
            "macroman" => "macintosh",
            _ => return Self::Ascii,
        })
    }

    /// Returns the letters of an encoding by its name on the web, or ASCII if there is none of that name.
    fn labelled(label: &str) -> Self {
        Encoding::for_label(label.as_bytes()).map_or(Self::Ascii, Self::Of)
    }

    /// Returns whether a column with these letters holds this one.
    fn hold(self, letter: char) -> bool {
        match self {
            Self::All => true,
            Self::BasicPlane => letter.len_utf8() <= 3,
            Self::Latin1 => u32::from(letter) <= 0xFF,
            Self::Ascii => letter.is_ascii(),
            Self::Of(encoding) => {
                letter.is_ascii() || {
                    let (_, _, has_other) = encoding.encode(letter.encode_utf8(&mut [0; 4]));
                    !has_other
                }
            }
        }
    }

    /// Returns what is written for a letter. No database takes the character 0.
    fn replaced(self, letter: char) -> char {
        if letter != '\0' && self.hold(letter) {
            return letter;
        }
        if self.hold(char::REPLACEMENT_CHARACTER) {
            char::REPLACEMENT_CHARACTER
        } else {
            '?'
        }
    }
}

impl Room {
    /// The room of a column that says nothing about its letters.
    pub(super) fn of(characters: usize) -> Self {
        Self {
            characters,
            bytes: None,
            letters: Letters::All,
        }
    }

    /// Returns the same room for ASCII alone.
    pub(super) fn in_ascii(self) -> Self {
        Self {
            letters: Letters::Ascii,
            ..self
        }
    }

    /// Returns what is written of a text.
    ///
    /// It has at most as many characters and bytes as there is room for. If it had to be cut, it ends with an ellipsis,
    /// unless there is no room even for that.
    pub(super) fn fit(&self, text: &str) -> String {
        let bytes = self.bytes.unwrap_or(usize::MAX);
        let ellipsis = if self.letters.hold('…') { "…" } else { "..." };
        let ellipsis_characters = ellipsis.chars().count();
        let mut fitted = String::new();
        // Where the ellipsis still has room behind.
        let mut cut_at = None;
        for (number, letter) in text.chars().map(|letter| self.letters.replaced(letter)).enumerate() {
            if number + ellipsis_characters <= self.characters && fitted.len() + ellipsis.len() <= bytes {
                cut_at = Some(fitted.len());
            }
            if number >= self.characters || fitted.len() + letter.len_utf8() > bytes {
                if let Some(end) = cut_at {
                    fitted.truncate(end);
                    fitted.push_str(ellipsis);
                }
                return fitted;
            }
            fitted.push(letter);
        }
        fitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(letters: Letters, characters: usize, bytes: Option<usize>, text: &str) -> String {
        let room = Room {
            characters,
            bytes,
            letters,
        };
        room.fit(text)
    }

    #[test]
    fn cuts_by_characters() {
        assert_eq!(fit(Letters::All, 4, None, "订单同步"), "订单同步");
        assert_eq!(fit(Letters::All, 3, None, "订单同步"), "订单…");
        assert_eq!(fit(Letters::All, 3, None, "😀😀😀😀"), "😀😀…");
        assert_eq!(fit(Letters::All, 0, None, "订"), "");
        assert_eq!(fit(Letters::Ascii, 5, None, "abcdef"), "ab...");
        assert_eq!(fit(Letters::Ascii, 2, None, "abcdef"), "ab");
    }

    #[test]
    fn cuts_by_bytes_between_letters() {
        assert_eq!(fit(Letters::All, 9, Some(12), "订单同步"), "订单同步");
        assert_eq!(fit(Letters::All, 9, Some(11), "订单同步"), "订单…");
        assert_eq!(fit(Letters::All, 9, Some(8), "订单同步"), "订…");
        assert_eq!(fit(Letters::All, 9, Some(2), "订单同步"), "");
    }

    #[test]
    fn replaces_what_the_column_cannot_hold_and_keeps_the_others() {
        let text = "磁盘 é€ 😀 \0";
        assert_eq!(fit(Letters::All, 99, None, text), "磁盘 é€ 😀 \u{fffd}");
        let utf8 = Letters::of_mysql("utf8mb3");
        assert_eq!(fit(utf8, 99, None, text), "磁盘 é€ \u{fffd} \u{fffd}");
        assert_eq!(fit(Letters::of_mysql("latin1"), 99, None, text), "?? é€ ? ?");
        assert_eq!(fit(Letters::of_mysql("gbk"), 99, None, text), "磁盘 é€ ? ?");
        assert_eq!(fit(Letters::of_postgres("LATIN1"), 99, None, text), "?? é? ? ?");
        assert_eq!(fit(Letters::of_postgres("LATIN9"), 99, None, text), "?? é€ ? ?");
        assert_eq!(fit(Letters::of_postgres("WIN1251"), 99, None, "é Ж"), "? Ж");
        assert_eq!(fit(Letters::of_postgres("EUC_CN"), 99, None, "磁盘 é"), "磁盘 é");
        assert_eq!(fit(Letters::of_mysql("armscii8"), 99, None, text), "?? ?? ? ?");
    }
}
