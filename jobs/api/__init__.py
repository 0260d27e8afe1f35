"""REST, `/api/v1/`: views take a request apart, services do the work, serializers show the outcome."""
