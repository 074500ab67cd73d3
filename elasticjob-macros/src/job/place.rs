//! Where the attribute may stand.
//!
//! These are the rules that the compiler would tell about in words of the generated code. What only the compiler can
//! know, such as whether a type implements a trait, is left to it.

use quote::{ToTokens, quote};
use syn::{GenericParam, Safety, Type};

use super::item::{Function, Implementation, Item, has_impl_trait};
use super::key;
use super::model::Settings;
use crate::faults::Faults;

pub(crate) fn check(item: &Item, settings: &Settings, faults: &mut Faults) {
    match item {
        Item::Function(function) => check_function(function, settings, faults),
        Item::Implementation(implementation) => check_implementation(implementation, settings, faults),
    }
}

fn check_function(function: &Function, settings: &Settings, faults: &mut Faults) {
    let signature = &function.signature;
    if let Some(receiver) = signature.receiver() {
        faults.add(
            receiver,
            "a job has no `self`: declare a free function, or implement `SimpleJob` for the type",
        );
    }
    for parameter in &signature.generics.params {
        let message = match parameter {
            GenericParam::Lifetime(_) => "a job has no lifetime parameters: leave the lifetime of `&T` out",
            _ => "a job is not generic: there would be no telling for which types it runs",
        };
        faults.add(parameter, message);
    }
    if let Some(constness) = &signature.constness {
        faults.add(constness, "a job is not `const`");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        faults.add(
            unsafety,
            "a job cannot be `unsafe`: the framework cannot keep the promises that its callers would have to make",
        );
    }
    if let Some(abi) = &signature.abi {
        faults.add(abi, "a job is not `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        faults.add(variadic, "a job has a fixed number of parameters");
    }
    if let Some((true, streaming)) = settings.flag(key::STREAMING) {
        let message = "a function does not stream: put the attribute on `impl DataflowJob for ..`";
        faults.add(&streaming.written, message);
    }
    check_parameters(function, faults);
    let returned = function.returned();
    if has_impl_trait(&returned) {
        let message = "a job returns a type with a name: write an `async fn` that returns nothing or `Result<(), E>`";
        faults.add(returned, message);
    }
}

/// Checks the parameters of a function: each has to be a type of its own that a run can give a value of.
fn check_parameters(function: &Function, faults: &mut Faults) {
    for input in function.typed_inputs() {
        for attribute in &input.attrs {
            if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                faults.add(
                    attribute,
                    "a parameter of a job cannot be conditional: make the whole function so",
                );
            }
        }
        if has_impl_trait(&input.ty) {
            faults.add(
                &input.ty,
                "a parameter of a job has a type with a name, not `impl Trait`",
            );
        }
        if let Type::Reference(reference) = &*input.ty
            && reference.mutability.is_some()
        {
            faults.add(&input.ty, "a job cannot take `&mut T`: take `T` or `&T`");
        }
        if let Type::Reference(reference) = &*input.ty
            && is_unsized(&reference.elem)
        {
            let message = "a job is given values with a size: take, for instance, `JobParameter<String>` for a text, \
                           or `Component<dyn Trait>`";
            faults.add(&input.ty, message);
        }
    }
}

/// The types that are seen to be unsized. Whether others are is known only to the compiler.
fn is_unsized(borrowed: &Type) -> bool {
    match borrowed {
        Type::Slice(_) | Type::TraitObject(_) => true,
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}

fn check_implementation(implementation: &Implementation, settings: &Settings, faults: &mut Faults) {
    for parameter in &implementation.generics.params {
        faults.add(parameter, "a job is one type: declare it for a type without parameters");
    }
    if implementation.name().is_none() && settings.get(key::NAME).is_none() {
        let job_type = implementation.job_type.to_token_stream();
        faults.add(
            quote!(#job_type),
            "the type has no name that the job could take: give `name = \"..\"`",
        );
    }
}
