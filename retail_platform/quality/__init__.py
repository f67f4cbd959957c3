"""Quality: verdicts on batches, and the quarantine that keeps refused rows with their reasons."""
