"""PayPal's wire protocol (Orders v2, Payments v2, webhooks), with books of its own."""
