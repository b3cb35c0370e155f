"""Fitted models: settings, codec, process and denoiser together; their files and exports."""
