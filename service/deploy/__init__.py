"""Ways to run the service: on Ray Serve, on Kubernetes, with Compose; README.md tells of each."""
