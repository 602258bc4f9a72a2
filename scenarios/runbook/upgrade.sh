#!/bin/bash
# Upgrade of the shop: catalog, a canary of checkout, then all of checkout.
set -euo pipefail

kubectl set image deployment/catalog web=shop/catalog:v2
kubectl rollout status deployment/catalog --timeout=5m

echo "canary"
kubectl set image deployment/checkout-canary web=shop/checkout:v2
if ! kubectl rollout status deployment/checkout-canary --timeout=90s; then
  kubectl rollout undo deployment/checkout-canary
  kubectl wait deployment/checkout-canary --for=condition=Available --timeout=60s
  exit 3
fi

kubectl set image deployment/checkout web=shop/checkout:v2
kubectl rollout status deployment/checkout --timeout=5m
