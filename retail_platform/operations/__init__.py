"""Operations: jobs, schedules and sensors that keep the platform current."""
