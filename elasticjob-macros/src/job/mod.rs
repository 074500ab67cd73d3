//! `#[elastic_job(..)]`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::faults::Faults;

mod attribute;
mod expand;
mod fallback;
mod item;
mod key;
mod model;
mod place;
mod validate;

use self::item::Item;
use self::model::Settings;

pub(crate) fn expand(arguments: TokenStream, original: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let arguments = attribute::parse(arguments, &mut faults);
    let settings = Settings::read(arguments, &mut faults);
    let declared = validate::settings(&settings, &mut faults);
    let item = Item::parse(original.clone(), &mut faults);
    if let Some(item) = &item {
        place::check(item, &settings, &mut faults);
    }
    let beside = match &item {
        Some(item) if faults.is_empty() => expand::declaration(item, &settings, &declared),
        Some(item) => fallback::declaration(item, &settings),
        None => TokenStream::new(),
    };
    let errors = faults.into_compile_errors();
    quote!(#original #errors #beside)
}
