//! The item that the attribute stands on: as much of it as matters. Bodies are not looked at.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, FnArg, Generics, Pat, PatType, Path, ReturnType, Signature, Token, Type, Visibility};

use crate::faults::Faults;

pub(crate) enum Item {
    Function(Box<Function>),
    Implementation(Box<Implementation>),
}

/// A function.
pub(crate) struct Function {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
}

/// `impl Trait for Type`.
pub(crate) struct Implementation {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) generics: Generics,
    pub(crate) job_trait: Path,
    pub(crate) job_type: Type,
}

/// A parameter of a function.
pub(crate) struct Parameter<'a> {
    pub(crate) name: String,
    /// What is extracted.
    pub(crate) extractor: &'a Type,
    /// Whether the function takes a reference to it.
    pub(crate) by_reference: bool,
}

impl Item {
    /// Reads the item. One that cannot be a job is a fault, and so is one that does not parse.
    pub(crate) fn parse(tokens: TokenStream, faults: &mut Faults) -> Option<Self> {
        match parse.parse2(tokens) {
            Ok(item) => Some(item),
            Err(error) => {
                faults.push(error);
                None
            }
        }
    }

    /// The attributes that decide whether the item is compiled, and with it what is generated.
    pub(crate) fn cfgs(&self) -> &[Attribute] {
        match self {
            Self::Function(function) => &function.cfgs,
            Self::Implementation(implementation) => &implementation.cfgs,
        }
    }
}

fn parse(input: ParseStream<'_>) -> syn::Result<Item> {
    let mut cfgs = input.call(Attribute::parse_outer)?;
    cfgs.retain(|attribute| attribute.path().is_ident("cfg"));
    let visibility: Visibility = input.parse()?;
    let item = if is_function(input) {
        let signature = input.parse()?;
        Item::Function(Box::new(Function {
            cfgs,
            visibility,
            signature,
        }))
    } else if input.peek(Token![impl]) || input.peek(Token![unsafe]) && input.peek2(Token![impl]) {
        Item::Implementation(Box::new(implementation(cfgs, input)?))
    } else {
        return Err(
            input.error("a job is an `async fn`, a `fn`, or an `impl` block of a job trait such as `SimpleJob`")
        );
    };
    input.parse::<TokenStream>()?;
    Ok(item)
}

/// Whether a signature follows. A `const` item or an `extern` block does not count.
fn is_function(input: ParseStream<'_>) -> bool {
    input.peek(Token![fn]) || input.fork().parse::<Signature>().is_ok()
}

/// Parses the head of an `impl` block.
fn implementation(cfgs: Vec<Attribute>, input: ParseStream<'_>) -> syn::Result<Implementation> {
    input.parse::<Option<Token![unsafe]>>()?;
    input.parse::<Token![impl]>()?;
    let generics = input.parse()?;
    let job_trait: Type = input.parse()?;
    let is_inherent = !input.peek(Token![for]);
    let Type::Path(path) = &job_trait else {
        return Err(syn::Error::new_spanned(
            job_trait,
            "expected a job trait, such as `impl SimpleJob for ..`",
        ));
    };
    if is_inherent {
        let message = "an `impl` block without a trait is no job: put the attribute on `impl SimpleJob for ..`";
        return Err(syn::Error::new_spanned(job_trait, message));
    }
    input.parse::<Token![for]>()?;
    Ok(Implementation {
        cfgs,
        generics,
        job_trait: path.path.clone(),
        job_type: input.parse()?,
    })
}

impl Function {
    pub(crate) fn name(&self) -> String {
        self.signature.ident.unraw().to_string()
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.signature.receiver().is_some()
    }

    /// Returns the parameters of the function, in their order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        self.typed_inputs().map(|input| {
            let (extractor, by_reference) = match &*input.ty {
                Type::Reference(reference) => (&*reference.elem, true),
                other => (other, false),
            };
            Parameter {
                name: pattern_name(&input.pat),
                extractor,
                by_reference,
            }
        })
    }

    pub(crate) fn typed_inputs(&self) -> impl Iterator<Item = &PatType> {
        self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
    }

    /// Returns the type that the function returns, or the future of it.
    pub(crate) fn returned(&self) -> TokenStream {
        match &self.signature.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, returned) => returned.to_token_stream(),
        }
    }
}

/// What a parameter is called in messages.
fn pattern_name(pattern: &Pat) -> String {
    match pattern {
        Pat::Ident(binding) => binding.ident.unraw().to_string(),
        other => other.to_token_stream().to_string(),
    }
}

impl Implementation {
    /// The last word of the trait's path.
    pub(crate) fn trait_span(&self) -> Span {
        self.job_trait
            .segments
            .last()
            .map_or_else(Span::call_site, |segment| segment.ident.span())
    }

    /// The last word of the type's path.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.job_type {
            Type::Path(path) => path
                .path
                .segments
                .last()
                .map(|segment| segment.ident.unraw().to_string()),
            _ => None,
        }
    }
}

/// Whether `impl Trait` stands somewhere in a type.
pub(crate) fn has_impl_trait(tokens: impl ToTokens) -> bool {
    let is_impl = |ident: &Ident| ident == "impl";
    tokens.into_token_stream().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => is_impl(&ident),
        TokenTree::Group(group) => has_impl_trait(group.stream()),
        _ => false,
    })
}
