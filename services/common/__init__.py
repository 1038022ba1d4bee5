"""What all services of the project share: settings, logs, clients that outlive their servers, the web application."""
