//! What `Inject` cannot make.
use elasticjob::prelude::*;

struct PgPool;

#[derive(Inject)]
struct BareField {
    pool: PgPool,
}

#[derive(Inject)]
enum Choice {
    One,
}

#[derive(Inject)]
union Bits {
    bits: u8,
}

#[derive(Inject)]
#[inject(krate = elasticjob)]
struct UnknownKey;

#[derive(Inject)]
struct FieldAttribute {
    #[inject(default)]
    pool: Component<PgPool>,
}

#[derive(Default, Inject)]
struct Both;

fn main() {}
