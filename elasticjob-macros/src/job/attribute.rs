//! What is written in the attribute, before anybody knows what it means.
//!
//! It accepts more than any key takes, so that a value of the wrong kind is reported with the key that it stands
//! behind, and what that takes.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Lit, LitStr, Path, Token, bracketed, parenthesized, token};

use crate::faults::Faults;

/// One argument: `key`, `key = value` or `key(..)`.
pub(crate) struct Argument {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// The value of an argument, by how it is written.
pub(crate) enum Value {
    /// None.
    Absent,
    Literal(Lit),
    /// `-1`, with its tokens.
    Negative(i64, TokenStream),
    Texts(Vec<LitStr>, TokenStream),
    Paths(Vec<Path>, TokenStream),
    Path(Path),
    Pairs(Vec<Pair>, TokenStream),
}

/// `key = value`, or `"some.key" = value`.
pub(crate) struct Pair {
    pub(crate) key: TokenTree,
    pub(crate) value: Lit,
}

/// Reads every argument by itself, so that a fault in one leaves the others.
pub(crate) fn parse(arguments: TokenStream, faults: &mut Faults) -> Vec<Argument> {
    let mut parsed = Vec::new();
    for argument in split_at_commas(arguments) {
        match syn::parse2(argument) {
            Ok(argument) => parsed.push(argument),
            Err(error) => faults.push(error),
        }
    }
    parsed
}

/// The pieces between commas, without empty ones: a comma too many is no fault.
fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let pieces = tokens.split(is_comma).filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.iter().cloned().collect()).collect()
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let Ok(key) = input.call(syn::ext::IdentExt::parse_any) else {
            return Err(input.error("expected a key, such as `cron = \"0 0 2 * * ?\"`"));
        };
        let value = if input.is_empty() {
            Value::Absent
        } else if input.peek(token::Paren) {
            pairs(input)?
        } else if input.parse::<Token![=]>().is_ok() {
            value(&key, input)?
        } else {
            return Err(input.error(format_args!("expected `,`, `=` or `(` after `{key}`")));
        };
        if !input.is_empty() {
            return Err(input.error(format_args!("expected `,` after the value of `{key}`")));
        }
        Ok(Self { key, value })
    }
}

/// Reads what stands behind `=`.
fn value(key: &Ident, input: ParseStream<'_>) -> syn::Result<Value> {
    if input.is_empty() {
        return Err(syn::Error::new_spanned(
            key,
            format_args!("expected a value after `{key} =`"),
        ));
    }
    if input.peek(token::Bracket) {
        let tokens = input.fork().parse()?;
        let content;
        bracketed!(content in input);
        if !content.is_empty() && !content.peek(Lit) {
            let paths = content.parse_terminated(Path::parse_mod_style, Token![,])?;
            return Ok(Value::Paths(paths.into_iter().collect(), tokens));
        }
        let texts = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
        return Ok(Value::Texts(texts.into_iter().collect(), tokens));
    }
    if input.peek(Token![-]) {
        let tokens: TokenStream = input.fork().parse()?;
        input.parse::<Token![-]>()?;
        let number: syn::LitInt = input.parse()?;
        let magnitude: i64 = number.base10_parse()?;
        return Ok(Value::Negative(-magnitude, tokens));
    }
    if input.peek(Lit) {
        return input.parse().map(Value::Literal);
    }
    match input.call(Path::parse_mod_style) {
        Ok(path) if input.peek(Token![!]) => {
            // The rest is of no interest: it would only be a second fault.
            input.parse::<TokenStream>()?;
            Err(syn::Error::new_spanned(
                path,
                "expected a literal: no macro is expanded here",
            ))
        }
        Ok(path) => Ok(Value::Path(path)),
        Err(_) => Err(input.error("expected a literal")),
    }
}

/// Reads what stands in parentheses.
fn pairs(input: ParseStream<'_>) -> syn::Result<Value> {
    let tokens = input.fork().parse()?;
    let content;
    parenthesized!(content in input);
    let pairs = Punctuated::<Pair, Token![,]>::parse_terminated(&content)?;
    Ok(Value::Pairs(pairs.into_iter().collect(), tokens))
}

impl Parse for Pair {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = match input.parse::<LitStr>() {
            Ok(text) => TokenTree::Literal(text.token()),
            Err(_) => match input.call(syn::ext::IdentExt::parse_any) {
                Ok(ident) => TokenTree::Ident(ident),
                Err(_) => return Err(input.error("expected a key, such as `\"email.host\" = \"localhost\"`")),
            },
        };
        if input.parse::<Token![=]>().is_err() {
            return Err(input.error("expected `=` and a value; a key with dots is written in quotes"));
        }
        match input.parse() {
            Ok(value) => Ok(Self { key, value }),
            Err(_) => Err(input.error("expected a literal")),
        }
    }
}

impl Pair {
    /// The key as configuration files would have it.
    pub(crate) fn name(&self) -> String {
        match &self.key {
            TokenTree::Ident(ident) => syn::ext::IdentExt::unraw(ident).to_string(),
            other => match syn::parse2::<LitStr>(other.clone().into()) {
                Ok(text) => text.value(),
                Err(_) => other.to_string(),
            },
        }
    }
}
