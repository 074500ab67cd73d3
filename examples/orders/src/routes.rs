//! What can be asked by HTTP.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use elasticjob::prelude::*;

use crate::ship;
use crate::shop::Shop;

/// The routes. The layer lets handlers take one-off jobs as parameters.
pub(crate) fn router(jobs: ElasticJob, shop: Shop) -> Router {
    Router::new()
        .route("/orders/{article}", post(order))
        .route("/orders", get(orders))
        .with_state(shop)
        .layer(Extension(jobs))
}

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no {0} is left")]
    SoldOut(String),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Trigger(#[from] elasticjob::Error),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::SoldOut(_) => (StatusCode::CONFLICT, format!("{self}\n")).into_response(),
            Self::Database(_) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{self}\n")).into_response(),
            Self::Trigger(error) => error.into_response(),
        }
    }
}

/// Stores an order, and has it shipped. If anything fails, or the process dies, there is neither the order nor the run.
async fn order(
    job: OneOffJob<ship>,
    State(shop): State<Shop>,
    Path(article): Path<String>,
) -> Result<(StatusCode, String), Refused> {
    let mut transaction = shop.begin().await?;
    let number = Shop::order(&mut transaction, &article).await?;
    job.execute_with_in(number, &mut transaction).await?;
    if !Shop::take(&mut transaction, &article).await? {
        // A transaction that is dropped is rolled back, with the order and the run.
        return Err(Refused::SoldOut(article));
    }
    transaction.commit().await?;
    Ok((StatusCode::CREATED, format!("order {number}\n")))
}

/// A line for each order.
async fn orders(State(shop): State<Shop>) -> Result<String, Refused> {
    let line = |(number, article, is_shipped)| {
        let state = if is_shipped { "shipped" } else { "not shipped yet" };
        format!("order {number}: {article}, {state}\n")
    };
    Ok(shop.orders().await?.into_iter().map(line).collect())
}
