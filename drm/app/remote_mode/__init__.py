"""Remote source mode: media sources that live in the worker, as the application holds them. The application alone."""
