"""The families of signals: a module each, in the order in which they are shown."""

FAMILIES = (
    "adoption",
    "value",
    "support",
    "relationship",
    "sentiment",
    "billing",
    "contract",
    "onboarding",
    "engagement",
    "customer_profile",
)
