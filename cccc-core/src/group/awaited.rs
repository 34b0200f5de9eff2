//! How requests are awaited.

/// Makes a request awaitable by its `async fn run(self)`.
macro_rules! awaited_by_run {
    ($($request:ident => $output:ty;)*) => {
        $(impl<'a> std::future::IntoFuture for $request<'a> {
            type Output = $crate::error::Result<$output>;
            type IntoFuture =
                std::pin::Pin<Box<dyn std::future::Future<Output = Self::Output> + Send + 'a>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        })*
    };
}

pub(super) use awaited_by_run;
