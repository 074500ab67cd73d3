//! Why a time passed without a run, or a run ended without its work's result: a code beside the text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares the reasons: the code that is stored, the text in English, and in Chinese.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident: $code:literal, $english:literal, $chinese:literal;)*) => {
        /// Why scheduled times passed without a run, or why a run ended although its work returned nothing.
        ///
        /// The ledger, events and JSON have the code beside a text: programs compare the code, and people read the text. `Display` shows
        /// the text in English.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $code)] $reason,)*
            /// A newer version wrote a reason that this version does not know.
            #[serde(rename = "unknown", other)]
            Unknown,
        }

        impl Reason {
            /// Returns the code, as the ledger and JSON have it: `switched-off`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$reason => $code,)*
                    Self::Unknown => "unknown",
                }
            }

            /// Returns the reason that has this code; [`Unknown`](Self::Unknown) if this version knows none.
            #[must_use]
            pub fn from_code(code: &str) -> Self {
                match code {
                    $($code => Self::$reason,)*
                    _ => Self::Unknown,
                }
            }

            /// Returns the reason that has this text in English; `None` if it is none of ours. Tables of the history have the text alone.
            #[must_use]
            pub fn from_english(text: &str) -> Option<Self> {
                match text {
                    $($english => Some(Self::$reason),)*
                    _ => None,
                }
            }

            /// Returns the text in English.
            #[must_use]
            pub const fn in_english(self) -> &'static str {
                match self {
                    $(Self::$reason => $english,)*
                    Self::Unknown => "for a reason that a newer version knows",
                }
            }

            /// Returns the text in Chinese.
            #[must_use]
            pub const fn in_chinese(self) -> &'static str {
                match self {
                    $(Self::$reason => $chinese,)*
                    Self::Unknown => "原因由更新的版本写入，此版本不认识",
                }
            }
        }

        #[cfg(test)]
        const ALL: &[Reason] = &[$(Reason::$reason,)* Reason::Unknown];
    };
}

reasons! {
    /// An operator switched the item off, or its server.
    SwitchedOff: "switched-off", "switched off", "已停用";
    /// The sharding strategy gives the item to no instance, or none is there.
    NoInstance: "no-instance", "no instance", "没有实例";
    /// A later time came before it could be fired for.
    Coalesced: "coalesced", "coalesced with a later one", "与后一次触发时间合并";
    /// It could not be fired for in time.
    TooLate: "too-late", "too late", "太迟";
    /// An operator paused the job.
    Paused: "paused", "the job is paused", "作业已暂停";
    /// A Java member ran the item, which records no ends.
    RanElsewhere: "ran-elsewhere", "ran elsewhere", "在别处执行";
    /// The item did not exist then.
    FewerItems: "fewer-items", "the job had fewer items", "当时作业的分片较少";
    /// No instance ran the item, for example since none was there.
    NotServed: "not-served", "no instance ran the item", "没有实例执行该分片";
    /// The clocks of the instance and the registry differ by more than the job allows.
    ClocksDiffer: "clocks-differ", "the clocks differ too much", "时钟相差过大";
    /// It came while the firing before it went on, and the job makes nothing up.
    MisfireOff: "misfire-off", "it came while the firing before it went on, and `misfire` is off", "前一次触发仍在进行，且 `misfire` 已关闭";
    /// The error handler of the job gave the firing up.
    GivenUp: "given-up", "the error handler gave the firing up", "错误处理器放弃了本次触发";
    /// A job listener failed, and the error handler gave the firing up.
    ListenerFailed: "listener-failed", "the error handler gave the firing up: a job listener failed", "作业监听器失败，错误处理器放弃了本次触发";
    /// The item moved to another instance before it was started.
    GivenAway: "given-away", "given to another instance", "已分配给另一个实例";
    /// The instance could not record the end of the run, and ran the item again.
    EndNotRecorded: "end-not-recorded", "its end could not be recorded", "无法记录其结束";
    /// The instances of all attempts that are allowed died.
    Parked: "parked", "parked: its instances died in a row", "已搁置：其实例接连死亡";
    /// The instance died, and no other takes the item over.
    NotTakenOver: "not-taken-over", "not taken over: failover is off or the item is gone", "未被接管：失效转移已关闭或分片已不存在";
    /// The instance left the cluster before the run ended.
    InstanceLeft: "instance-left", "the instance left before the run ended", "实例在执行结束前离开";
    /// The instance was removed while the item ran.
    InstanceRemoved: "instance-removed", "the instance is no longer registered", "实例已不再注册";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_english())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_code_in_all_forms() {
        for reason in ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert_eq!(serde_json::from_value::<Reason>(reason.code().into()).unwrap(), *reason);
            assert_eq!(Reason::from_code(reason.code()), *reason);
            let from_english = Reason::from_english(reason.in_english());
            assert_eq!(from_english, Some(*reason).filter(|reason| *reason != Reason::Unknown));
        }
        assert_eq!(
            serde_json::from_value::<Reason>("of-2030".into()).unwrap(),
            Reason::Unknown
        );
        assert_eq!(Reason::from_code("of-2030"), Reason::Unknown);
    }
}
